# Debian packages, by `deploy/packages/build.sh`: bftnode (daemon, units, applications), bftctl, and
# libbftnode-client-dev (the C++ client as one static library).
include(GNUInstallDirs)

# --- bftnode ---
install(TARGETS bftnode DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT bftnode)
install(FILES deploy/systemd/bftnode@.service deploy/systemd/bftnode-usig@.service
    DESTINATION lib/systemd/system COMPONENT bftnode)
install(FILES deploy/systemd/bftnode.sysusers DESTINATION lib/sysusers.d
    RENAME bftnode.conf COMPONENT bftnode)
install(FILES deploy/systemd/bftnode.tmpfiles DESTINATION lib/tmpfiles.d
    RENAME bftnode.conf COMPONENT bftnode)
install(DIRECTORY config/apps DESTINATION ${CMAKE_INSTALL_DATADIR}/bftnode COMPONENT bftnode
    USE_SOURCE_PERMISSIONS)
install(FILES config/node.toml config/gateway.toml config/topology.toml config/controller.toml
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bftnode/examples COMPONENT bftnode)
install(FILES docs/operations.md docs/http.md docs/threat-model.md
    DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT bftnode)

# --- bftctl ---
install(TARGETS bftctl DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT bftctl)
install(FILES deploy/completion/bftctl.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME bftctl COMPONENT bftctl)
install(FILES deploy/completion/bftnode.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME bftnode COMPONENT bftnode)

install(PROGRAMS deploy/provision/local deploy/provision/systemd deploy/provision/ec2
    DESTINATION lib/bftnode/provision COMPONENT bftctl)
install(FILES deploy/provision/provisioner.py DESTINATION lib/bftnode/provision COMPONENT bftctl)
install(FILES deploy/packages/bftctl.lintian-overrides
    DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME bftctl COMPONENT bftctl)
install(FILES docs/provisioning.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/bftctl COMPONENT bftctl)

# --- libbftnode-client-dev: every room that the client stands on, in one archive ---
set(client_rooms bft_client bft_net bft_crypto bft_wire bft_wire_proto bft_catalog bft_consensus bft_base)
set(client_archive ${CMAKE_BINARY_DIR}/libbftnode-client.a)
set(script "create ${client_archive}\n")
foreach(room ${client_rooms})
    string(APPEND script "addlib $<TARGET_FILE:${room}>\n")
endforeach()
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/libbftnode-client.mri CONTENT "${script}save\nend\n")
add_custom_command(OUTPUT ${client_archive}
    COMMAND ${CMAKE_AR} -M < ${CMAKE_BINARY_DIR}/libbftnode-client.mri
    DEPENDS ${client_rooms}
    VERBATIM)
add_custom_target(bftnode_client_archive DEPENDS ${client_archive})
configure_file(deploy/packages/bftnode-client.pc.in ${CMAKE_BINARY_DIR}/bftnode-client.pc @ONLY)
install(FILES ${client_archive} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client)
install(FILES ${CMAKE_BINARY_DIR}/bftnode-client.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT client)
install(DIRECTORY include/bftnode DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT client)
install(FILES docs/clients.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libbftnode-client-dev COMPONENT client)

# --- what every package has: licence, history; man pages from --help ---
add_custom_target(package_documents
    COMMAND ${CMAKE_SOURCE_DIR}/deploy/packages/documents.sh $<TARGET_FILE_DIR:bftnode>
            ${CMAKE_BINARY_DIR}/package_documents ${PROJECT_VERSION}
    DEPENDS bftnode bftctl
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    VERBATIM)

# --- `cmake --build BUILD --target sbom`: what is linked, with versions and licences (SPDX) ---
add_custom_target(sbom
    COMMAND ${CMAKE_SOURCE_DIR}/deploy/packages/sbom.sh $<TARGET_FILE:bftnode> $<TARGET_FILE:bftctl>
            > ${CMAKE_BINARY_DIR}/bftnode.spdx.json
    DEPENDS bftnode bftctl
    VERBATIM)

foreach(pair "bftnode;bftnode" "bftctl;bftctl" "client;libbftnode-client-dev")
    list(GET pair 0 component)
    list(GET pair 1 package)
    install(FILES ${CMAKE_BINARY_DIR}/package_documents/copyright
                  ${CMAKE_BINARY_DIR}/package_documents/changelog.gz
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
endforeach()
install(DIRECTORY ${CMAKE_BINARY_DIR}/package_documents/man-bftnode/
    DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT bftnode)
install(DIRECTORY ${CMAKE_BINARY_DIR}/package_documents/man-bftctl/
    DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT bftctl)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "The bftnode authors")
set(CPACK_PACKAGE_CONTACT "The bftnode authors <bftnode@users.noreply.github.com>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL bftnode bftctl client)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_BFTNODE_PACKAGE_NAME bftnode)
set(CPACK_DEBIAN_BFTNODE_PACKAGE_SECTION database)
set(CPACK_DEBIAN_BFTNODE_PACKAGE_SHLIBDEPS ON)
# The ways to a TPM are loaded by name.
set(CPACK_DEBIAN_BFTNODE_PACKAGE_DEPENDS "bftctl (>= ${PROJECT_VERSION}), systemd, libtss2-tcti-device0, libtss2-tcti-swtpm0, libtss2-tcti-mssim0")
set(CPACK_DEBIAN_BFTNODE_PACKAGE_RECOMMENDS "mariadb-server")
set(CPACK_DEBIAN_BFTNODE_PACKAGE_CONTROL_EXTRA
    "${CMAKE_SOURCE_DIR}/deploy/packages/postinst;${CMAKE_SOURCE_DIR}/deploy/packages/prerm;${CMAKE_SOURCE_DIR}/deploy/packages/postrm")
set(CPACK_COMPONENT_BFTNODE_DESCRIPTION "Byzantine fault-tolerant MySQL and MariaDB: the daemon
Orders transactions by MinBFT with counters of TPM 2.0 chips and executes them
on 2f+1 databases of different hosts: up to f of them may crash, lie or be
owned by an attacker. systemd units, example applications.")

set(CPACK_DEBIAN_BFTCTL_PACKAGE_NAME bftctl)
set(CPACK_DEBIAN_BFTCTL_PACKAGE_SECTION database)
set(CPACK_DEBIAN_BFTCTL_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_BFTCTL_PACKAGE_DEPENDS "libtss2-tcti-device0, libtss2-tcti-swtpm0, libtss2-tcti-mssim0")
set(CPACK_DEBIAN_BFTCTL_PACKAGE_RECOMMENDS "python3, openssh-client")
set(CPACK_COMPONENT_BFTCTL_DESCRIPTION "Byzantine fault-tolerant MySQL and MariaDB: command line tool
Makes a cluster's keys, TPM counters and files, shows who is up and who
disagrees, runs transactions, compares and repairs databases.")

set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME libbftnode-client-dev)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_CLIENT_PACKAGE_DEPENDS "libssl-dev, libsodium-dev, libprotobuf-dev, libspdlog-dev, libfmt-dev, libtomlplusplus-dev, libboost1.81-dev")
set(CPACK_COMPONENT_CLIENT_DESCRIPTION "Byzantine fault-tolerant MySQL and MariaDB: C++ client library
Headers and static library. A result counts when f+1 replicas say the same.")
include(CPack)
