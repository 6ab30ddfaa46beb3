// Placeholder, replaced when the module gets its first file.
