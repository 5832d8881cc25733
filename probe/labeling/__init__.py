"""Labels for a new behavior: search, learn and correct in the browser, on frozen embeddings."""
