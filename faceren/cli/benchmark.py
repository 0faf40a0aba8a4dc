"""``faceren benchmark``: figures as they are measured, and what changed since another time."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Exit, Option

from faceren.bench.request import Request
from faceren.cli.screen import Screen, ScreenOptions, check_figures, write_json
from faceren.files import remove_leftovers

if TYPE_CHECKING:
    from faceren.bench.output.report import Report


def benchmark(
    *,
    request: Request,
    fail_on_regression: Annotated[
        bool, Option(help="Exit with 1 if --compare finds anything worse.")
    ] = False,
    json_file: Annotated[Path | None, Option(help="Write the figures there, too.")] = None,
    shown: ScreenOptions,
) -> None:
    """Measure quality on degraded clean faces, and speed."""
    screen = shown.screen()
    check_figures("--json-file", json_file)
    report = show_benchmark(request, screen)
    screen.item(report.to_json())
    if json_file is not None:
        write_json(json_file, report.to_json())
    worse = show_comparison(request, report, screen)
    raise Exit(int(report.failed or (worse and fail_on_regression)))


def show_benchmark(request: Request, screen: Screen) -> "Report":
    """Show a benchmark as it goes on, write its files, and return what it found."""
    from faceren.bench.benchmark import benchmark, load, write_outputs
    from faceren.bench.output.report import Report, read_report
    from faceren.bench.quality.suite import Quality
    from faceren.bench.request import Quoted
    from faceren.bench.speed.suite import machine
    from faceren.commands.evaluate import Scored

    if request.compare is not None:
        read_report(request.compare)  # so that a wrong file is found before hours of work
    restorer = load(request)
    remove_leftovers(request.output)
    report = Report(machine(restorer), request.to_json())
    with screen.bar("images") as on_progress:
        for event in benchmark(request, restorer):
            if isinstance(event, Scored):
                on_progress(event.done, event.total)
                continue
            if not isinstance(event, Quoted):  # those are in the files
                screen.say(event.line())
            for warning in event.warnings if isinstance(event, Quality) else ():
                if warning not in report.warnings:
                    screen.say(f"warning: {warning}")
            report.rows.append(event)
    for path in write_outputs(report, request, restorer):
        screen.say(f"wrote {path}")
    return report


def show_comparison(request: Request, report: "Report", screen: Screen) -> bool:
    """Show what changed since the report to compare with; return whether anything got worse."""
    from faceren.bench.output.report import compare, read_report

    if request.compare is None:
        return False
    found = compare(read_report(request.compare), report.to_json())
    for note in found.notes:
        screen.say(note)
    for change in found.changes:
        screen.say(change.line())
    worse = len(found.regressions)
    better = len(found.changes) - worse
    screen.say(f"{found.compared} figures compared: {better} better, {worse} worse")
    return bool(worse)
