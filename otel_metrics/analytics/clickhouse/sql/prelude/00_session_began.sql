-- What: when a session began, which ids of `create_session` tell; NULL for others
-- Parameters: session (id). Returns: DateTime64(6), UTC.
CREATE OR REPLACE FUNCTION session_began AS (session) -> if(
    match(session, '^[0-9a-f]{32}$') AND substring(session, 17, 1) = '0'
        AND substring(session, 14, 3) = substring(lower(leftPad(hex(CRC32(substring(session, 1, 13))), 8, '0')), 6, 3),
    fromUnixTimestamp64Micro(
        toInt64(reinterpretAsUInt32(reverse(unhex(substring(session, 1, 8))))) * 1000000
        + toInt64(reinterpretAsUInt32(reverse(unhex(concat('000', substring(session, 9, 5)))))), 'UTC'
    ),
    NULL
);
