"""How a benchmark is shown."""

from typing import Any

from faceren.commands.benchmark import DegradationSpeed, Request, Speed, benchmark, load, machine
from faceren.console import Screen


def show_benchmark(request: Request, screen: Screen) -> dict[str, Any]:
    """Show a benchmark as it goes on; return its report."""
    restorer = load(request)
    report: dict[str, Any] = {"machine": machine(restorer)}
    report |= {"speed": [], "degradation": [], "quality": []}
    with screen.bar("images") as tell:
        for row in benchmark(request, restorer, progress=tell):
            if isinstance(row, Speed):
                report["speed"].append(row.to_json())
                screen.say(
                    f"{row.model}  {row.size} px  batch {row.batch}  {row.gmac:.1f} GMAC  "
                    f"{row.faces_per_second:.2f} faces/s  ± {row.iqr_percent:.0f} %"
                )
            elif isinstance(row, DegradationSpeed):
                report["degradation"].append(row.to_json())
                screen.say(
                    f"degrade {row.task}  {row.size} px  one process  "
                    f"{row.images_per_second:.1f} images/s"
                )
            else:
                report["quality"].append(row.to_json())
                figures = row.evaluation.scores.metrics.items()
                text = "  ".join(f"{name} {result.mean:.4f}" for name, result in figures)
                screen.say(f"{row.task}  {row.method}  N {report['quality'][-1]['n']}  {text}")
    return report
