# The command reaches its figures on nano and is right on shapes that fit nothing.
add_test(NAME bench_gemm
         COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:vaultrain>
                 -DWORK=${CMAKE_CURRENT_BINARY_DIR}/bench_gemm
                 -P ${CMAKE_CURRENT_SOURCE_DIR}/bench_gemm_check.cmake)
set_tests_properties(bench_gemm PROPERTIES LABELS slow TIMEOUT 1800
                     ENVIRONMENT XDG_CACHE_HOME=${CMAKE_BINARY_DIR}/cache)
