# The command, on a mesh of 2x2: every row passes, and the JSON is there.
add_test(NAME bench_mesh COMMAND vaultrain bench mesh quad --json ${CMAKE_CURRENT_BINARY_DIR}/bench_mesh.json)
set_tests_properties(bench_mesh PROPERTIES LABELS slow FAIL_REGULAR_EXPRESSION " NO "
                     ENVIRONMENT XDG_CACHE_HOME=${CMAKE_BINARY_DIR}/cache)
