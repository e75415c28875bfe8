add_executable(bftnode
    main.cpp node.cpp metric_families.cpp status_report.cpp status_server.cpp)
target_link_libraries(bftnode PRIVATE
    bft_node bft_roles bft_host bft_database bft_storage bft_metrics bft_usig bft_net CLI11::CLI11)

# Messages are allocated on one thread and freed on another; jemalloc does that with a quarter less
# processor time for the whole daemon than the C library's allocator.
find_library(JEMALLOC jemalloc)
if(JEMALLOC AND NOT BFT_SANITIZE)
    target_link_libraries(bftnode PRIVATE ${JEMALLOC})
endif()
