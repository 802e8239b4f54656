"""From files to prompts: readers, templates, the stream. Labels leave by a door of their own."""
