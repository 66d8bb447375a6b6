"""vaa: recognise attributes of people in pictures with visual attention aggregation."""
