"""Files into kinds and kinds into files: uploads, checks, commits, templates, exports."""
