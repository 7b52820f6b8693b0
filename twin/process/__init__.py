"""Parts of the process engine; `twin.cases` is its public face."""
