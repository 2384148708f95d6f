"""The measured part of the model card: Markdown tables between two marks of its README."""

from collections.abc import Mapping
from pathlib import Path

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"

Table = Mapping[str, Mapping[str, float]]


def markdown(title: str, table: Table) -> str:
    """A titled table; rows with different columns make tables of their own."""
    blocks = []
    columns: tuple[str, ...] = ()
    for name, numbers in table.items():
        if tuple(numbers) != columns:
            columns = tuple(numbers)
            head = " | ".join(columns)
            blocks.append(f"\n| {title} | {head} |\n|---|{'---|' * len(columns)}")
        values = " | ".join(f"{value:,}" for value in numbers.values())
        blocks.append(f"| {name} | {values} |")
    return "\n".join(blocks).strip() + "\n"


def replace(card: Path, text: str) -> None:
    """Put the text between the marks of the card.

    Raises:
        ValueError: The card has no such marks.
    """
    before, begin, rest = card.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{card} has no {BEGIN} ... {END} to write the tables to")
    card.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")
