find_package(MPI REQUIRED COMPONENTS C)
vt_unit_test(NAME cli_sweep)
target_compile_definitions(cli_sweep_test PRIVATE VT_PROGRAM="$<TARGET_FILE:vaultrain>"
                           VT_MPIRUN="${MPIEXEC_EXECUTABLE}")
add_dependencies(cli_sweep_test vaultrain)
target_link_libraries(cli_sweep_test PRIVATE vt_synth GTest::gmock)
# Synthesis comes from the cache that cli_synth leaves.
set_tests_properties(cli_sweep PROPERTIES LABELS slow DEPENDS cli_synth)
