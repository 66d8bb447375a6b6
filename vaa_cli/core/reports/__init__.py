"""Tables, pages and figures of what other rooms computed."""
