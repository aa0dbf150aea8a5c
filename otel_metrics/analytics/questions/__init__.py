"""The questions, one module for each subject: a function that gives a document, and the `.sql` files behind it."""
