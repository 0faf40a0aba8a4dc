"""Help in groups: what everybody needs first, then what is for one purpose, then examples."""

from typing import Any

from typer.core import TyperCommand

GROUPS = ("Arguments", "Everyday", "Output", "Undo and redo", "Faces", "Machine", "Options")
"""In the order of the help; an option without a group is one of the last."""
VARIABLES = (
    "Every option but --json is also an environment variable: --min-face is FACEREN_MIN_FACE. "
    "An option goes before its variable."
)
WIDEST = 120
"""Columns of the help in a terminal that has more."""


class Command(TyperCommand):
    """A command whose options are shown by the group that each names (``rich_help_panel``).

    Its epilog is examples, one a line.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, group by group."""
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in GROUPS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            is_argument = parameter.param_type_name == "argument"
            own = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None)
            if record is not None and is_argument:
                record = (record[0].partition(" <")[0], record[1])  # its name says what it is
            if record is not None:
                groups.setdefault(own or GROUPS[-1], []).append(record)
        for name, records in groups.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples and where else an option may come from."""
        if self.epilog:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in self.epilog.splitlines()))
        formatter.write_paragraph()
        formatter.write_text(VARIABLES)
