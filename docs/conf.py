"""Sphinx's settings; the pages come from docs/site.py."""

from toothgraph import __version__

project = "toothgraph"
author = "the toothgraph authors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = f"toothgraph {release}"
html_show_copyright = False
html_show_sourcelink = False
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
napoleon_use_ivar = True  # fields of dataclasses are told of once
python_maximum_signature_line_length = 88
pygments_style = "friendly"
pygments_dark_style = "monokai"
