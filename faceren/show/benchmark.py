"""How a benchmark is shown."""

from faceren.bench.benchmark import benchmark, load
from faceren.bench.output.compare import compare
from faceren.bench.output.report import Report, read_report
from faceren.bench.output.write import write_outputs
from faceren.bench.quality.quoted import Quoted
from faceren.bench.quality.suite import Quality
from faceren.bench.request import Request
from faceren.bench.rows import Row
from faceren.bench.speed.machine import machine
from faceren.console import Screen


def show_benchmark(request: Request, screen: Screen) -> Report:
    """Show a benchmark as it goes on, write its files, and return what it found."""
    if request.compare is not None:
        read_report(request.compare)  # so that a wrong file is found before hours of work
    restorer = load(request)
    report = Report(machine(restorer), request.to_json())
    with screen.bar("images") as tell:
        for row in benchmark(request, restorer, progress=tell):
            _show(row, report, screen)
            report.rows.append(row)
    for path in write_outputs(report, request, restorer):
        screen.say(f"wrote {path}")
    return report


def _show(row: Row, report: Report, screen: Screen) -> None:
    if not isinstance(row, Quoted):  # those are in the files
        screen.say(row.line())
    for warning in row.warnings if isinstance(row, Quality) else ():
        if warning not in report.warnings:
            screen.say(f"warning: {warning}")


def show_comparison(request: Request, report: Report, screen: Screen) -> bool:
    """Show what changed since the report to compare with; return whether anything got worse."""
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
