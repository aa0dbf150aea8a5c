-- What: the beginning of the step of so many seconds that holds a time; a week begins on a Monday.
-- Parameters: moment, step_s. Returns: TIMESTAMP.
CREATE MACRO step_of(moment, step_s) AS time_bucket(to_seconds(step_s), moment);
