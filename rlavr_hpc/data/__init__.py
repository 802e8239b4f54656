"""From files to prompts: readers, templates, the stream. Labels are kept apart from prompts."""
