"""The label table: rows of pictures, boxes, attributes, priors, splits and statistics."""
