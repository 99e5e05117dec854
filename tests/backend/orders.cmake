# Runs the kernels' tests with threads and blocks in several orders, and other garbage in shared memory for each: all bytes of all results must be
# the same.
#
#     cmake -DPROGRAM=cuda_test -DLIBRARY=libcornu_cuda_host.so [-DFILTER=of the tests] -P orders.cmake
if(NOT FILTER)
  set(FILTER "-HostEach*:HostPlugin*:HostFaults*")
endif()
set(first "")
set(ENV{CORNU_CUDA_LIBRARY} ${LIBRARY})
foreach(seed 0 1 2)
  set(ENV{CN_HOST_SEED} ${seed})
  execute_process(COMMAND ${PROGRAM} --gtest_brief=1 --gtest_filter=${FILTER} RESULT_VARIABLE code OUTPUT_VARIABLE text)
  string(REGEX MATCH "results: [0-9a-f]+ of [0-9]+" digest "${text}")
  message(STATUS "seed ${seed}: ${digest}")
  if(NOT code EQUAL 0 OR NOT digest)
    message(FATAL_ERROR "seed ${seed}: ${text}")
  endif()
  if(first AND NOT first STREQUAL digest)
    message(FATAL_ERROR "results depend on the order of threads: ${first}, seed ${seed} ${digest}")
  endif()
  set(first ${digest})
endforeach()
