# planted.cu, once with each kind of sanitizer, and what must report each of its bugs.
set(planted_source ${PROJECT_BINARY_DIR}/host_kernels/planted.cc)
file(CONFIGURE OUTPUT ${planted_source} CONTENT "#include \"tests/kernels/planted.cu\"\n")

function(cornu_add_planted name sanitizers)
  add_executable(${name} ${planted_source} $<TARGET_OBJECTS:cornu_host_scheduler>)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_include_directories(${name} SYSTEM PRIVATE ${CORNU_CUDA_HEADERS})
  target_compile_definitions(${name} PRIVATE CN_HOST_EXECUTION=1)
  target_compile_options(${name} PRIVATE -Wall -Wextra -O1 -g -fno-omit-frame-pointer -fsanitize=${sanitizers} -fno-sanitize-recover=all)
  target_link_options(${name} PRIVATE -fsanitize=${sanitizers})
  target_link_libraries(${name} PRIVATE Threads::Threads)
  add_test(NAME ${name}.correct COMMAND ${name} correct)
  set_tests_properties(${name}.correct PROPERTIES FAIL_REGULAR_EXPRESSION "ERROR|WARNING|runtime error|host execution")
endfunction()

function(cornu_expect_planted name)
  while(ARGN)
    list(POP_FRONT ARGN bug report)
    add_test(NAME ${name}.${bug} COMMAND ${name} ${bug})
    set_tests_properties(${name}.${bug} PROPERTIES PASS_REGULAR_EXPRESSION "${report}")
  endwhile()
endfunction()

cornu_add_planted(planted_asan address,undefined)
cornu_expect_planted(planted_asan
  global_out_of_bounds "heap-buffer-overflow.*in global_out_of_bounds"
  misaligned_vector "misaligned address"
  uninitialised_shared "uninitialised_shared: the result depends on the seed"
  missing_syncthreads "missing_syncthreads: the result depends on the seed"
  wrong_lane_mask "lane mask 0xffffffff of __shfl_xor_sync"
  lane_outside_mask "a lane reads one outside the mask"
  divergent_barrier "planted.cu:[0-9]+: divergent barrier"
  barrier_after_return "divergent barrier: .* ended"
  static_shared_out_of_bounds "use-after-poison"
  dynamic_shared_out_of_bounds "use-after-poison"
  too_much_shared "exceeds 48 KiB"
  missing_meet "missing_meet: the result depends on the seed"
  missing_block "planted.cu:[0-9]+: divergent barrier: 3 of 4 blocks have come to cn_meet"
  divergent_meet "planted.cu:[0-9]+: divergent barrier: block .* is here for turn 1 of 4 blocks, block .* at .*planted.cu:[0-9]+"
  partial_meet "planted.cu:[0-9]+: divergent barrier: thread .* is here, thread"
  used_counter "planted.cu:[0-9]+: 4 blocks have met 1 times and their counter is 16843013, not 4"
  meet_apart "planted.cu:[0-9]+: blocks meet in a launch that is not cooperative")
cornu_add_planted(planted_tsan thread)
cornu_expect_planted(planted_tsan
  missing_syncthreads "data race.*missing_syncthreads"
  missing_second_syncthreads "data race.*missing_second_syncthreads"
  missing_syncwarp "data race.*missing_syncwarp"
  race_between_blocks "data race.*race_between_blocks"
  missing_threadfence "data race.*missing_threadfence"
  missing_meet "data race.*missing_meet"
  missing_second_meet "data race.*missing_second_meet")
