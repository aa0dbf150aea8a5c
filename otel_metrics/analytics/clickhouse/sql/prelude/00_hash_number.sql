-- What: a keyed hash as the number that stands for an id; 0 where there is none
-- Parameters: hash (16 hex digits). Returns: Int64.
CREATE OR REPLACE FUNCTION hash_number AS (hash) -> if(length(hash) = 16, toInt64(bitAnd(reinterpretAsUInt64(reverse(unhex(hash))), 9223372036854775807)), 0);
