#ifndef LIMPID_SQLITE_H
#define LIMPID_SQLITE_H

#include <stddef.h>

/* SQLite 3, opened when a store first is: no program needs it that keeps none. */

typedef enum lp_sql_status {
  LP_SQL_OK = 0,
  LP_SQL_MISSING = 1, /* the library is not on this machine, or is too old */
  LP_SQL_FAILED = 2,
  LP_SQL_STOPPED = 3 /* by a row's callback */
} lp_sql_status;

enum { LP_SQL_MESSAGE_SIZE = 512 };

typedef struct lp_sql lp_sql;

/* Bytes: a blob, or UTF-8. */
typedef struct lp_sql_value {
  const void *bytes;
  size_t size;
} lp_sql_value;

/* Gets the columns of a row, valid during the call; anything but 0 stops. */
typedef int (*lp_sql_row)(void *user, const lp_sql_value *columns, size_t count);

/* `message` holds LP_SQL_MESSAGE_SIZE bytes, and says why where the status is not LP_SQL_OK. */
lp_sql_status lp_sql_open(const char *path, lp_sql **out, char *message);

/* Runs one statement with `values` for its parameters, as text where it compares them. */
lp_sql_status lp_sql_run(lp_sql *database, const char *statement, const lp_sql_value *values, size_t value_count,
                         lp_sql_row row, void *user, char *message);

void lp_sql_close(lp_sql *database);

#endif
