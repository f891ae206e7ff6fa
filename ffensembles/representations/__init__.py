"""From a trained net to labelled arrays: read-out and stores."""
