"""What agents share that think with a model: asking for an answer in a form, and fitting a context into a budget."""
