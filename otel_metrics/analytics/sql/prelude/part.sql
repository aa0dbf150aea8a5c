-- What: a part of a tuple by its place from 1 on.
-- Parameters: parts, place. Returns: what the part is.
CREATE MACRO part(parts, place) AS struct_extract_at(parts, place);
