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

# High bandwidth memory: 16 accesses a page, an access every 2 cycles.
vt_block_test(NAME vault_controller_hbm TOP vt_vault_controller
              PARAMS Banks=16 RowBits=15 ColBits=4 DataBits=256 Beats=2 ReadQueue=64 ReadWindow=32 WriteWindow=32
                     WriteQueue=128 HighWater=96 LowWater=16 ReadBatch=128 WriteBatch=128 tRCD=14 tRP=14 tCL=14
                     tCWL=4 tRAS=34 tRRD=6 tFAW=30 tCCD=2 tWTR=8 tWR=16 tRTP=6 tRFC=260 tREFI=3900)
target_compile_definitions(vault_controller_hbm_test PRIVATE VT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")

# Closed pages, neighbouring accesses in neighbouring banks, two digits of rotation; few places to wait.
vt_block_test(NAME vault_controller_closed FROM vault_controller TOP vt_vault_controller
              PARAMS ClosePage=1 BankLow=1 BankRotate=2 ReadQueue=16 ReadWindow=6 WriteWindow=5)
target_compile_definitions(vault_controller_closed_test PRIVATE
                           VT_SOURCE_DIR="${CMAKE_SOURCE_DIR}" VT_LEAST_1_TO_1=0.93 VT_LEAST_2_TO_1=0.93
                           VT_LEAST_SHORT=0.93 VT_LEAST_RANDOM=0.5 VT_LEAST_RANDOM_READS=0.7)

# Check bits at the dies: a word a beat, the same at a clock of 10 ns, and four words a beat.
vt_block_test(NAME vault_controller_ecc FROM vault_controller TOP vt_vault_controller PARAMS Ecc=1)
target_compile_definitions(vault_controller_ecc_test PRIVATE VT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
vt_block_test(NAME vault_controller_ecc_slow FROM vault_controller_slow TOP vt_vault_controller
              PARAMS Ecc=1 tRCD=2 tRP=2 tCL=2 tCWL=2 tRAS=3 tRRD=1 tFAW=3 tCCD=1 tWTR=1 tWR=2 tRTP=1 tRFC=34
                     tREFI=749)
target_compile_definitions(vault_controller_ecc_slow_test PRIVATE VT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
vt_block_test(NAME vault_controller_ecc_hbm FROM vault_controller_hbm TOP vt_vault_controller
              PARAMS Ecc=1 Banks=16 RowBits=15 ColBits=4 DataBits=256 Beats=2 ReadQueue=64 ReadWindow=32
                     WriteWindow=32 WriteQueue=128 HighWater=96 LowWater=16 ReadBatch=128 WriteBatch=128 tRCD=14
                     tRP=14 tCL=14 tCWL=4 tRAS=34 tRRD=6 tFAW=30 tCCD=2 tWTR=8 tWR=16 tRTP=6 tRFC=260 tREFI=3900)
target_compile_definitions(vault_controller_ecc_hbm_test PRIVATE VT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
vt_refuses(vt_vault_controller Ecc 2 Ecc_is_0_or_1)
