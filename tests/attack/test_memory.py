"""Memory does not grow with the number of faces in a photo, nor with that of photos in a run."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
ACROSS, DOWN, SIDE = 20, 15, 640
GIGABYTE = 10**9
SCAN = (12_500, 16_000)
"""Height and width in pixels: 200 megapixels."""
ROWS = 500

MEASURED = """
import json, os, resource, sys
from pathlib import Path
from tests.calls import restoring

def now():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": pages * resource.getpagesize(),
        "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "threads": len(os.listdir("/proc/self/task")),
        "files": len(os.listdir("/proc/self/fd")),
    }

source, output, options, places = map(json.loads, sys.argv[1:])
found, faces = [], 0
run = restoring([Path(source)], Path(output), **options)
for count, result in enumerate(run.results, start=1):
    faces += len(result.faces)
    if count in places:
        found.append(now())
print(json.dumps({"faces": faces, "found": found}))
"""


def measured(source, output, options, places):
    """Restore in a process of its own; return the faces, and what it held after some photos."""
    arguments = [json.dumps(value) for value in (str(source), str(output), options, places)]
    command = [sys.executable, "-c", MEASURED, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, check=True, env=environment)
    answer = json.loads(run.stdout)
    print(answer)
    return answer["faces"], answer["found"]


@linux
@pytest.mark.slow
def test_three_hundred_large_faces_take_less_than_three_gigabytes(tmp_path):
    face = Image.fromarray(data.astronaut()).crop((120, 10, 330, 220)).resize((SIDE, SIDE))
    crowd = Image.fromarray(np.tile(np.asarray(face), (DOWN, ACROSS, 1)))
    crowd.save(tmp_path / "crowd.jpg", quality=92)
    options = {"model": "compact", "max_memory": "2G", "rotate": "off", "faces": "all"}
    options |= {"working_size": 64}  # what the network takes is nothing here
    faces, (after,) = measured(tmp_path / "crowd.jpg", tmp_path / "out", options, [1])
    assert faces == ACROSS * DOWN
    assert after["peak"] < 3 * GIGABYTE


def write_scan(path, kind):
    """Write a scan of 200 megapixels, uncompressed, in which a row of faces lies every way up."""
    face = Image.fromarray(data.astronaut()).crop((120, 10, 330, 220)).resize((ROWS, ROWS))
    row = np.full((ROWS, SCAN[1], 3), 90, np.uint8)
    row += np.random.default_rng(0).integers(0, 30, row.shape, np.uint8)
    plain = row.copy()
    for number in range(8):
        left = 500 + number * 2_000
        row[:, left : left + ROWS] = np.rot90(face, number % 4)
    scale = np.iinfo(kind).max // 255
    tifffile.imwrite(
        path,
        ((row if y == ROWS else plain).astype(kind) * kind(scale) for y in range(0, SCAN[0], ROWS)),
        shape=(*SCAN, 3),
        dtype=kind,
        photometric="rgb",
        rowsperstrip=ROWS,
    )


@linux
@pytest.mark.slow
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_scan_of_200_megapixels_takes_less_than_three_gigabytes(tmp_path, kind):
    write_scan(tmp_path / "scan.tif", kind)
    options = {"model": "compact", "max_memory": "2G"}
    faces, (after,) = measured(tmp_path / "scan.tif", tmp_path / "out", options, [1])
    assert faces == 8
    assert after["peak"] < 3 * GIGABYTE


@linux
@pytest.mark.slow
def test_twenty_thousand_tiny_photos_hold_no_more_than_two_thousand(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("L", (16, 16)).save(folder / "0.png")
    content = (folder / "0.png").read_bytes()
    for index in range(1, 20_000):
        (folder / f"{index}.png").write_bytes(content)
    options = {"model": "compact", "rotate": "off"}  # one search a photo, not four
    _, (early, late) = measured(folder, tmp_path / "out", options, [2_000, 20_000])
    assert late["memory"] < 1.05 * early["memory"]
    assert late["threads"] <= 1.05 * early["threads"]
    assert late["files"] <= 1.05 * early["files"]
