"""HTML from the templates that lie beside the code: escaped, and with nothing undefined left out in silence."""

from pathlib import Path

import jinja2


def template(name: str, *folders: Path) -> jinja2.Template:
    """The template of this name in the first of the folders that has it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(name)
