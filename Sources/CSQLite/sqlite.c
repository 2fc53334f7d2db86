// SPDX-License-Identifier: Apache-2.0
#include "csqlite.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// SQLite's numbers, which its interface keeps.
enum { SQLITE_OK = 0, SQLITE_ROW = 100, SQLITE_DONE = 101 };
enum { SQLITE_OPEN_READWRITE = 2, SQLITE_OPEN_CREATE = 4 };
enum { MOST_COLUMNS = 8, BUSY_MILLISECONDS = 60000 };

typedef void (*destructor)(void *);
#define SQLITE_STATIC ((destructor)0)

static struct {
  int (*open_v2)(const char *, void **, int, const char *);
  int (*close_v2)(void *);
  int (*busy_timeout)(void *, int);
  int (*prepare_v2)(void *, const char *, int, void **, const char **);
  int (*bind_blob)(void *, int, const void *, int, destructor);
  int (*step)(void *);
  int (*finalize)(void *);
  const void *(*column_blob)(void *, int);
  int (*column_bytes)(void *, int);
  int (*column_count)(void *);
  const char *(*errmsg)(void *);
} sqlite;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int is_loaded = 0;
static char load_error[LP_SQL_MESSAGE_SIZE];

static int find(void *library, const char *name, void *function) {
  void *found = dlsym(library, name);
  if (!found) snprintf(load_error, sizeof load_error, "libsqlite3 has no %s", name);
  *(void **)function = found;
  return found != NULL;
}

static void load(void) {
  void *library = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) library = dlopen("libsqlite3.so", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    snprintf(load_error, sizeof load_error, "%s", reason ? reason : "libsqlite3.so.0 cannot be loaded");
    return;
  }
  is_loaded = find(library, "sqlite3_open_v2", &sqlite.open_v2) && find(library, "sqlite3_close_v2", &sqlite.close_v2) &&
              find(library, "sqlite3_busy_timeout", &sqlite.busy_timeout) &&
              find(library, "sqlite3_prepare_v2", &sqlite.prepare_v2) &&
              find(library, "sqlite3_bind_blob", &sqlite.bind_blob) && find(library, "sqlite3_step", &sqlite.step) &&
              find(library, "sqlite3_finalize", &sqlite.finalize) &&
              find(library, "sqlite3_column_blob", &sqlite.column_blob) &&
              find(library, "sqlite3_column_bytes", &sqlite.column_bytes) &&
              find(library, "sqlite3_column_count", &sqlite.column_count) &&
              find(library, "sqlite3_errmsg", &sqlite.errmsg);
}

struct lp_sql {
  void *database;
};

static lp_sql_status failed(void *database, char *message) {
  snprintf(message, LP_SQL_MESSAGE_SIZE, "%s", database ? sqlite.errmsg(database) : "no memory");
  return LP_SQL_FAILED;
}

lp_sql_status lp_sql_open(const char *path, lp_sql **out, char *message) {
  pthread_once(&once, load);
  if (!is_loaded) {
    snprintf(message, LP_SQL_MESSAGE_SIZE, "%s", load_error);
    return LP_SQL_MISSING;
  }
  lp_sql *opened = malloc(sizeof *opened);
  if (!opened) return failed(NULL, message);
  opened->database = NULL;
  if (sqlite.open_v2(path, &opened->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK) {
    lp_sql_status status = failed(opened->database, message);
    lp_sql_close(opened);
    return status;
  }
  sqlite.busy_timeout(opened->database, BUSY_MILLISECONDS);
  *out = opened;
  return LP_SQL_OK;
}

lp_sql_status lp_sql_run(lp_sql *database, const char *statement, const lp_sql_value *values, size_t value_count,
                         lp_sql_row row, void *user, char *message) {
  void *prepared = NULL;
  if (sqlite.prepare_v2(database->database, statement, -1, &prepared, NULL) != SQLITE_OK) {
    return failed(database->database, message);
  }
  lp_sql_status status = LP_SQL_OK;
  for (size_t i = 0; i < value_count && status == LP_SQL_OK; i++) {
    // A null pointer would be bound as NULL.
    const void *bytes = values[i].size > 0 ? values[i].bytes : "";
    if (values[i].size > 0x7fffffff) {
      snprintf(message, LP_SQL_MESSAGE_SIZE, "a value is too large");
      status = LP_SQL_FAILED;
    } else if (sqlite.bind_blob(prepared, (int)i + 1, bytes, (int)values[i].size, SQLITE_STATIC) != SQLITE_OK) {
      status = failed(database->database, message);
    }
  }
  int step = SQLITE_DONE;
  while (status == LP_SQL_OK && (step = sqlite.step(prepared)) == SQLITE_ROW) {
    lp_sql_value columns[MOST_COLUMNS];
    int count = sqlite.column_count(prepared);
    if (count > MOST_COLUMNS) count = MOST_COLUMNS;
    for (int i = 0; i < count; i++) {
      columns[i].bytes = sqlite.column_blob(prepared, i);
      columns[i].size = (size_t)sqlite.column_bytes(prepared, i);
    }
    if (row && row(user, columns, (size_t)count) != 0) status = LP_SQL_STOPPED;
  }
  if (status == LP_SQL_OK && step != SQLITE_DONE) status = failed(database->database, message);
  sqlite.finalize(prepared);
  return status;
}

void lp_sql_close(lp_sql *database) {
  if (!database) return;
  if (database->database) sqlite.close_v2(database->database);
  free(database);
}
