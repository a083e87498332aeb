"""``python -m stayfast.interfaces.cli.reference FOLDER``: write page, schemas, manual pages, and the catalogue's index."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ... import catalogue
from ...catalogue.entry import INDEX, made_index
from .contract import SHAPES, file_of, schema_of
from .manual import manual
from .page import page
from .providers import providers_page


def files() -> dict[str, str]:
    """Every file of the reference, by its path in the folder."""
    schemas = {
        f"schemas/{file_of(name)}": json.dumps(schema_of(name), indent=2) + "\n" for name in SHAPES
    }
    pages = {f"man/{name}": text for name, text in manual().items()}
    return {"command.md": page(), "providers.md": providers_page(), **schemas, **pages}


def main(arguments: list[str]) -> int:
    """Write them all into a folder; remove what was made of commands that are gone."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m stayfast.interfaces.cli.reference FOLDER", file=sys.stderr)  # noqa: T201 - a command
        return 2
    Path(catalogue.__file__).with_name(INDEX).write_text(made_index(), encoding="utf-8")
    folder, made = Path(arguments[0]), files()
    for kind in ("schemas/*.schema.json", "man/*.1"):
        for path in folder.glob(kind):
            if path.relative_to(folder).as_posix() not in made:
                path.unlink()
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
