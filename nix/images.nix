# The programs that serve a lab as images for a container engine, on Linux. docs/containers.md tells how to run them.
#
# Each is one archive, made by `buildLayeredImage`: it can be carried to a machine without Nix. What `streamLayeredImage` makes
# takes no room in the store, but is a script that needs this store.
{
  pkgs,
  package,
  version,
}:
let
  # A number, since no file of an image tells names; the one that others also take for nobody.
  user = "65532";

  image =
    name:
    {
      config ? { },
      fakeRootCommands ? "",
    }:
    let
      # Without the package's other programs. With a shell among what it needs it does not build.
      program =
        pkgs.runCommand "temporal-bug-lab-${name}"
          {
            disallowedRequisites = [
              pkgs.bash
              pkgs.runtimeShellPackage
            ];
          }
          ''
            mkdir -p $out/bin
            cp ${package}/bin/${name} $out/bin/
          '';
    in
    pkgs.dockerTools.buildLayeredImage {
      inherit fakeRootCommands;
      name = "temporal-bug-lab-${name}";
      tag = version;
      contents = [ program ];
      config = {
        User = "${user}:${user}";
        Entrypoint = [ "/bin/${name}" ];
      }
      // config;
    };

  # The programs listen on loopback, which is the container's own: what is published of it would reach nobody.
  everywhere = [
    "--host"
    "0.0.0.0"
  ];
in
{
  image-worker = image "worker" {
    # For a Temporal Service with TLS.
    config.Env = [ "SSL_CERT_FILE=${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt" ];
  };

  image-account-api = image "account-api" {
    # A new volume takes its owner from here.
    fakeRootCommands = ''
      mkdir -p data
      chmod 0700 data
      chown ${user}:${user} data
    '';
    config = {
      Cmd = everywhere;
      ExposedPorts."5050/tcp" = { };
      Volumes."/data" = { };
      # Where its file is when nothing else is said.
      WorkingDir = "/data";
    };
  };

  image-transfer-web = image "transfer-web" {
    config = {
      Cmd = everywhere;
      ExposedPorts."5051/tcp" = { };
    };
  };
}
