vt_block_test(NAME vault_controller TOP vt_vault_controller)
target_compile_definitions(vault_controller_test PRIVATE VT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")

# The second generation of the cube at its own clock.
vt_block_test(NAME vault_controller_hmc2 TOP vt_vault_controller
              PARAMS Banks=16 tRCD=17 tRP=17 tCL=17 tCWL=17 tRAS=34 tRRD=6 tFAW=27 tCCD=6 tWTR=3 tWR=19
                     tRTP=10 tRFC=420 tREFI=9364)
target_compile_definitions(vault_controller_hmc2_test PRIVATE VT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")

# The first generation at a clock of 10 ns, where most constraints are a cycle or two.
vt_block_test(NAME vault_controller_slow TOP vt_vault_controller
              PARAMS tRCD=2 tRP=2 tCL=2 tCWL=2 tRAS=3 tRRD=1 tFAW=3 tCCD=1 tWTR=1 tWR=2 tRTP=1 tRFC=34
                     tREFI=749)
target_compile_definitions(vault_controller_slow_test PRIVATE VT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
