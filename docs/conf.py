"""How the site is built: `sphinx-build -W -b html docs docs/_build/html`."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Tillpost"
author = project_copyright = "The Tillpost authors"
version = release = installed_version("tillpost")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "drawings",
    "shared_attributes",
]
exclude_patterns = ["_build", "_ext", "examples"]
html_theme = "furo"
html_title = "Tillpost"
html_static_path = ["_static"]
html_css_files = ["site.css"]
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# The docstrings' own style: single backticks are code, and sections are Google's.
default_role = "code"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Class attributes", "Attributes")]
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_default_options = {"exclude-members": "model_config, model_post_init"}
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
