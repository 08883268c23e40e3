#!/bin/sh
# Makes Temporal's databases, or brings them up to the version of this image. Where they are there already, it changes
# nothing. SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD and SQL_PLUGIN say where.
set -eu

# usage: database NAME SCHEMA
database() {
  temporal-sql-tool --database "$1" create-database
  temporal-sql-tool --database "$1" setup-schema --version 0.0
  temporal-sql-tool --database "$1" update-schema --schema-name "postgresql/v12/$2"
}
database temporal temporal
database temporal_visibility visibility
