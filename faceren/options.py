"""Options that several commands share, each named once."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Device = Annotated[
    str, Option(envvar="FACEREN_DEVICE", help="auto, cpu, cuda, cuda:N or mps.", metavar="DEVICE")
]
Precision = Annotated[
    str, Option(envvar="FACEREN_PRECISION", help="auto, fp32, bf16 or fp16.", metavar="TYPE")
]
BatchSize = Annotated[
    str, Option(envvar="FACEREN_BATCH_SIZE", help="Faces a pass, or auto.", metavar="N")
]
Workers = Annotated[
    int,
    Option(
        envvar="FACEREN_WORKERS",
        min=0,
        help="Threads or processes beside the network; 0: automatic.",
    ),
]
Seed = Annotated[int, Option(envvar="FACEREN_SEED", min=0, help="Seed of what is drawn at random.")]
Quiet = Annotated[bool, Option("--quiet", "-q", envvar="FACEREN_QUIET", help="Errors only.")]
Json = Annotated[bool, Option("--json", help="One JSON object a photo (or event) on stdout.")]
Output = Annotated[
    Path | None, Option("--output", "-o", envvar="FACEREN_OUTPUT", help="Output folder.")
]
MaxPixels = Annotated[
    int | None, Option(envvar="FACEREN_MAX_PIXELS", min=1, help="Refuse images of more pixels.")
]
Inputs = Annotated[
    list[Path] | None, Argument(help="Photos and folders.", metavar="INPUT...", show_default=False)
]
Model = Annotated[
    str, Option("--model", "-m", envvar="FACEREN_MODEL", help="Shipped model or a checkpoint.")
]
Aligned = Annotated[
    bool, Option("--aligned", envvar="FACEREN_ALIGNED", help="Inputs are aligned face crops.")
]
Faces = Annotated[str, Option(envvar="FACEREN_FACES", help="all, largest or center.")]
MinFace = Annotated[
    float, Option(envvar="FACEREN_MIN_FACE", help="Leave out narrower faces, in pixels.")
]
DetectionThreshold = Annotated[
    float, Option(envvar="FACEREN_DETECTION_THRESHOLD", help="Least confidence, 0.01 to 1.")
]
Rotate = Annotated[str, Option(envvar="FACEREN_ROTATE", help="Find turned faces: auto or off.")]
DetectorName = Annotated[
    str,
    Option(
        "--detector",
        envvar="FACEREN_DETECTOR",
        help="tiny; with [facexlib]: retinaface_resnet50 or retinaface_mobile0.25.",
    ),
]
Boxes = Annotated[
    Path | None,
    Option(
        envvar="FACEREN_BOXES", help="Faces that were missed: JSON Lines or CSV.", metavar="FILE"
    ),
]
MinIdentity = Annotated[
    float | None,
    Option(
        envvar="FACEREN_MIN_IDENTITY",
        help="Blend faces back whose identity distance exceeds this; 0.6 is another person.",
        metavar="DISTANCE",
    ),
]
Grain = Annotated[
    str, Option(envvar="FACEREN_GRAIN", help="Match grain and sharpness of the photo: auto or off.")
]
Ensemble = Annotated[
    str,
    Option(
        envvar="FACEREN_ENSEMBLE",
        help="Restore each face's mirror image, too, and take the mean: on (calmer), off (twice as "
        "fast) or auto (as the weights say).",
    ),
]
Mask = Annotated[
    str, Option(envvar="FACEREN_MASK", help="What is pasted: auto, ellipse or parsing.")
]
WeightsDir = Annotated[
    Path | None,
    Option(envvar="FACEREN_WEIGHTS_DIR", help="Folder of facexlib's weights.", metavar="DIR"),
]
Offline = Annotated[bool, Option("--offline", envvar="FACEREN_OFFLINE", help="Download nothing.")]
Strength = Annotated[
    float, Option(envvar="FACEREN_STRENGTH", help="Blend: 0 is the input, 1 the restored face.")
]
Background = Annotated[
    str, Option(envvar="FACEREN_BACKGROUND", help="keep, or renovate: restore the whole photo.")
]
Scale = Annotated[
    int, Option(envvar="FACEREN_SCALE", help="1, 2 or 4 times as many pixels a side.")
]
MaxMemory = Annotated[
    str,
    Option(envvar="FACEREN_MAX_MEMORY", help="For photos being worked on, as 500M or 3G."),
]
Color = Annotated[str, Option(envvar="FACEREN_COLOR", help="auto, keep or free: whose chroma.")]
FileFormat = Annotated[
    str, Option("--format", envvar="FACEREN_FORMAT", help="keep, png, jpg, webp or tiff.")
]
Quality = Annotated[
    int,
    Option(envvar="FACEREN_QUALITY", help="Of lossy outputs, 1 to 100; good JPEGs keep their own."),
]
SaveFaces = Annotated[
    bool, Option("--save-faces", envvar="FACEREN_SAVE_FACES", help="Keep the crops as well.")
]
Exclude = Annotated[
    list[str] | None, Option(envvar="FACEREN_EXCLUDE", help="Glob of paths to leave out.")
]
Only = Annotated[
    Path | None, Option(envvar="FACEREN_ONLY", help="File that lists the photos to restore.")
]
Report = Annotated[
    bool,
    Option("--report/--no-report", envvar="FACEREN_REPORT", help="Write OUT/report.html."),
]
ReportOnly = Annotated[
    Path | None,
    Option(
        envvar="FACEREN_REPORT_ONLY", help="Write that page anew, do nothing else.", metavar="OUT"
    ),
]
Revert = Annotated[
    Path | None,
    Option(envvar="FACEREN_REVERT", help="File that lists photos and faces to take back."),
]
Overwrite = Annotated[
    bool, Option("--overwrite", envvar="FACEREN_OVERWRITE", help="Do everything anew.")
]
RetryFailed = Annotated[
    bool, Option("--retry-failed", envvar="FACEREN_RETRY_FAILED", help="Retry what failed.")
]
DryRun = Annotated[
    bool, Option("--dry-run", envvar="FACEREN_DRY_RUN", help="Say what would be done.")
]
DegradeInputs = Annotated[
    list[Path], Argument(help="Clean photos and folders.", metavar="INPUT...")
]
DegradeOutput = Annotated[
    Path | None, Option("--output", "-o", envvar="FACEREN_OUTPUT", help="Default INPUT_TASK.")
]
Task = Annotated[
    str | None, Option(envvar="FACEREN_TASK", help="full, historic, sr4x, hallucination, …")
]
Size = Annotated[str, Option(envvar="FACEREN_SIZE", help="Shorter side in pixels, or keep.")]
Copies = Annotated[int, Option(envvar="FACEREN_COPIES", min=1, help="Outputs a photo.")]
Replay = Annotated[
    Path | None, Option(envvar="FACEREN_REPLAY", help="Manifest to repeat, byte for byte.")
]
Compat = Annotated[
    list[str] | None, Option(envvar="FACEREN_COMPAT", help="Behave like other simulators.")
]
Sheet = Annotated[
    Path | None, Option(envvar="FACEREN_SHEET", help="Only write a PNG that shows all tasks.")
]
Recipe = Annotated[Path, Argument(help="Recipe, a YAML file.")]
TrainOutput = Annotated[
    Path | None, Option("--output", "-o", envvar="FACEREN_OUTPUT", help="Default runs/NAME.")
]
Override = Annotated[
    list[str] | None,
    Option("--override", "-O", envvar="FACEREN_OVERRIDE", help="As train.lr=1e-4."),
]
AllowChange = Annotated[
    bool,
    Option("--allow-change", envvar="FACEREN_ALLOW_CHANGE", help="Resume though inputs changed."),
]
Results = Annotated[Path, Argument(help="Folder of results.")]
Reference = Annotated[
    Path | None, Option(envvar="FACEREN_REFERENCE", help="Clean images, or FID statistics (.npz).")
]
Metrics = Annotated[
    list[str] | None,
    Option(envvar="FACEREN_METRICS", help="psnr,ssim,ms-ssim,fed,lle,fid,lpips,niqe,kid,…"),
]
Protocol = Annotated[
    str, Option(envvar="FACEREN_PROTOCOL", help="standard, or paper for its Table 1.")
]
Limit = Annotated[int | None, Option(envvar="FACEREN_LIMIT", min=1, help="The first so many only.")]
JsonFile = Annotated[
    str | None, Option("--json", help="Write the report there; - is stdout.", metavar="FILE")
]
CsvFile = Annotated[
    Path | None, Option("--csv", envvar="FACEREN_CSV", help="Write a row an image there.")
]
HtmlFile = Annotated[
    Path | None, Option("--html", envvar="FACEREN_HTML", help="Write a page of it all there.")
]
SaveStats = Annotated[
    Path | None, Option(envvar="FACEREN_SAVE_STATS", help="Save FID statistics (.npz).")
]
Worst = Annotated[
    int, Option(envvar="FACEREN_WORST", min=0, help="Sheet of the so many worst images.")
]
WorstBy = Annotated[
    str | None, Option(envvar="FACEREN_WORST_BY", help="By which metric; default the first.")
]
Clean = Annotated[Path, Argument(help="Folder of aligned clean faces.")]
Suite = Annotated[
    str, Option(envvar="FACEREN_SUITE", help="quality, speed, ablation, crops or all.")
]
Tasks = Annotated[str, Option(envvar="FACEREN_TASKS", help="Tasks of degrade, split by commas.")]
Models = Annotated[
    str | None,
    Option(
        envvar="FACEREN_MODELS",
        help="Others to compare: checkpoints, yours or ours, or TASK=FILE; split by commas.",
    ),
]
TrainFolder = Annotated[
    Path | None,
    Option("--train", envvar="FACEREN_TRAIN", help="Clean faces to train the ablation on."),
]
Budget = Annotated[
    float, Option(envvar="FACEREN_BUDGET", help="Minutes of training for the whole ablation.")
]
Crops = Annotated[
    Path | None,
    Option(envvar="FACEREN_CROPS", help="A photo whose small faces are enlarged and restored."),
]
Compare = Annotated[
    Path | None, Option(envvar="FACEREN_COMPARE", help="An earlier benchmark.json.")
]
FailOnRegression = Annotated[
    bool,
    Option(
        "--fail-on-regression",
        envvar="FACEREN_FAIL_ON_REGRESSION",
        help="Exit with 1 if --compare finds anything worse.",
    ),
]
BenchmarkMetrics = Annotated[
    str, Option(envvar="FACEREN_METRICS", help="Metrics of evaluate, split by commas.")
]
BenchmarkSize = Annotated[
    int, Option(envvar="FACEREN_SIZE", min=64, help="Shorter side of the faces in pixels.")
]
BenchmarkLimit = Annotated[
    int | None, Option(envvar="FACEREN_LIMIT", min=1, help="The first so many faces only.")
]
BenchmarkOutput = Annotated[
    Path, Option("--output", "-o", envvar="FACEREN_OUTPUT", help="Folder to write to.")
]
Seconds = Annotated[
    float, Option(envvar="FACEREN_SECONDS", help="Least time for each figure of speed.")
]
BenchmarkJsonFile = Annotated[
    str | None, Option("--json", help="Write the figures there; - is stdout.", metavar="FILE")
]
