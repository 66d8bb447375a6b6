"""From published or own labels to a prepared folder."""
