{
  description = "Temporal Bug Lab: durable execution, hands on";

  # flake.lock has the exact revision; docs/nix.md tells how to move it.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { nixpkgs, ... }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      each =
        output:
        nixpkgs.lib.genAttrs systems (
          system: output (import ./nix/lab.nix { pkgs = nixpkgs.legacyPackages.${system}; })
        );
    in
    # Nix copies these into its store only from a folder that is not a git checkout.
    if builtins.pathExists ./.lab || builtins.pathExists ./target then
      throw "This folder is not a git checkout, so Nix copies all of it into its store, also target and .lab; type: git init && git add --all"
    else
      {
        devShells = each (lab: {
          default = lab.shell;
        });
        packages = each (lab: lab.images // { default = lab.package; });
        apps = each (lab: {
          default = lab.app;
        });
        checks = each (lab: lab.checks);
        formatter = each (lab: lab.formatter);
        templates.default = import ./nix/template.nix;
      };
}
