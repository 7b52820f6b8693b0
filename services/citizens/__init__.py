"""The page of citizens: report without login, and see what became of it."""
