# SPDX-License-Identifier: Apache-2.0
# Copyright the Vaultrain authors
#
# Runs `vaultrain bench gemm` and holds what its JSON says against the figures of the shipped list:
# cmake -DPROGRAM=vaultrain -DWORK=FOLDER -P bench_gemm_check.cmake

file(MAKE_DIRECTORY ${WORK})

# bench(FILE ARGUMENTS...): runs the command; the JSON as `report`, its rows as `count`. Every row is
# right, and its estimate within an eighth and 8 cycles.
function(bench file)
  execute_process(COMMAND ${PROGRAM} bench gemm ${ARGN} --json ${WORK}/${file} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "bench gemm ${ARGN}: exit status ${status}")
  endif()
  file(READ ${WORK}/${file} report)
  string(JSON count LENGTH "${report}" rows)
  math(EXPR last "${count} - 1")
  foreach(i RANGE ${last})
    string(JSON case GET "${report}" rows ${i} case)
    string(JSON passed GET "${report}" rows ${i} passed)
    string(JSON cycles GET "${report}" rows ${i} cycles)
    string(JSON estimate GET "${report}" rows ${i} estimated_cycles)
    string(REGEX REPLACE "\\..*" "" estimate ${estimate})
    math(EXPR most "${cycles} / 8 + 8")
    math(EXPR off "${estimate} - ${cycles}")
    if(NOT passed OR off GREATER most OR off LESS -${most})
      message(FATAL_ERROR "${ARGN} ${case}: passed ${passed}, cycles ${cycles}, estimate ${estimate}")
    endif()
  endforeach()
  set(report "${report}" PARENT_SCOPE)
  set(count ${count} PARENT_SCOPE)
endfunction()

# Utilisation of nano in thousandths, at least.
set(least_192x192x192 990)
set(least_96x96x96 985)
set(least_64x64x64 930)
set(least_24x32x32 830)
set(least_13x17x19 400)
set(least_12x16x16 500)
set(least_1x64x64 200)

bench(nano.json nano)
if(NOT count EQUAL 7)
  message(FATAL_ERROR "${count} rows, not 7")
endif()
string(JSON rate GET "${report}" macs_per_cycle)
foreach(i RANGE 6)
  string(JSON case GET "${report}" rows ${i} case)
  string(JSON cycles GET "${report}" rows ${i} cycles)
  string(JSON macs GET "${report}" rows ${i} macs)
  math(EXPR needed "${macs} * 1000 - ${least_${case}} * ${cycles} * ${rate}")
  if(needed LESS 0)
    message(FATAL_ERROR "${case}: ${macs} MACs in ${cycles} cycles, less than ${least_${case}} / 1000")
  endif()
endforeach()

# Ragged sides, a last set of its own, the transposed problem; results in fp32; rows along K.
bench(ragged.json nano --shape 131x4x40 --shape 200x5x16 --shape 1x1x1 --shape 33x100x70 --fp32)
bench(rows.json nano --set array.rows=2 --set array.acc_depth=32
      --shape 19x33x65 --shape 70x3x40 --shape 5x4x3)

# Refused, in one line each.
foreach(shape 64x64 0x1x1 64x64x64x1 1x1x70000 512x512x64)
  execute_process(COMMAND ${PROGRAM} bench gemm nano --shape ${shape}
                  RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE complaint)
  if(NOT status EQUAL 2 OR NOT complaint MATCHES "^vaultrain: --shape ${shape}: [^\n]*accepted: [^\n]*\n$")
    message(FATAL_ERROR "--shape ${shape}: exit status ${status}: ${complaint}")
  endif()
endforeach()
