-- What: a time as clocks of a zone show it.
-- Parameters: moment, zone. Returns: a time without a zone.
CREATE MACRO local_time(moment, zone) AS timezone(zone, timezone('UTC', moment));
