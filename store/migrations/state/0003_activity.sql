-- The turn that has not ended, and the call in it that waits for its output.
ALTER TABLE threads ADD COLUMN turn_since INTEGER;
ALTER TABLE threads ADD COLUMN pending_call TEXT;
ALTER TABLE threads ADD COLUMN pending_since INTEGER;

CREATE INDEX threads_in_turn ON threads (turn_since) WHERE turn_since IS NOT NULL;
