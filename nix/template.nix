# What `nix flake new -t <this flake> my-lab` copies: the project, without what a run leaves behind.
{
  description = "A working copy of the lab, yours to break and fix";
  path = builtins.path {
    name = "my-lab";
    path = ../.;
    filter =
      path: _:
      !(builtins.elem path (
        map (name: toString ../. + "/${name}") [
          ".direnv"
          ".git"
          ".lab"
          "result"
          "target"
        ]
      ));
  };
  welcomeText = ''
    # Your lab

    Nix sees what git knows, so first, in the new folder:

        git init && git add --all

    Then start the lab:

        nix develop --command cargo xtask lab start
  '';
}
