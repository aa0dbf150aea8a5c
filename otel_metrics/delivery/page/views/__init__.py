"""What each view of the page shows: functions from answers and a place to cards, which know no browser."""
