# SPDX-License-Identifier: Apache-2.0
# Copyright the Vaultrain authors
#
# cmake -DBUILD=build -DWORK=folder -P install_check.cmake: installs, moves the prefix, and trains one step there.

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK}/empty RESULT_VARIABLE status
                  OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT status EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "${command}: ${status}\n${out}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/empty)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first)
file(RENAME ${WORK}/first ${WORK}/moved)
# A link into the checkout would make the copy depend on it.
file(GLOB_RECURSE entries LIST_DIRECTORIES true ${WORK}/moved/*)
foreach(entry ${entries})
  if(IS_SYMLINK ${entry})
    message(FATAL_ERROR "${entry} is a link")
  endif()
endforeach()
foreach(file rtl_templates/common/vt_sram.v constraints/dram/hmc1.toml
             harness/standalone/CMakeLists.txt synth/standalone/synth.ys sweeps/nano-array.toml
             report/page.html d3/d3.min.js d3/LICENSE)
  if(NOT EXISTS ${WORK}/moved/share/vaultrain/${file})
    message(FATAL_ERROR "share/vaultrain/${file} is not installed")
  endif()
endforeach()
set(program ${WORK}/moved/bin/vaultrain)
run(${program} list)
run(${program} generate nano --out nano)
run(${program} train nano tiny --steps 1 --json train.json)
run(${program} report .)
