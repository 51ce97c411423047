"""Cells of CSV files that no spreadsheet takes for a formula (OWASP, CSV injection), and back again."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(cell: str) -> str:
    """`cell`, behind an apostrophe where a spreadsheet would run it as a formula."""
    return f"'{cell}" if cell.lstrip("'").startswith(_FORMULA) else cell


def original(cell: str) -> str:
    """What `harmless` was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell
