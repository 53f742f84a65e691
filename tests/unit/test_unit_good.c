/* Good sets of units: which fields they resolve to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>

#include "netns/net.h"
#include "supervisor/base/clock.h"
#include "tests/unit/unit_good.h"

static void test_defaults(void **state)
{
	struct unit_dir dir;
	const struct unit *web;

	(void)state;
	LOAD(&dir, { "web.container", WEB });
	HAS(unit_dir_spec(&dir, "web"),
		"unit: web.container\nname: web\nroot: directory @/root\nargv: httpd\nargv: -f\n");
	HAS(dir.out, "env: PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
	HAS(dir.out, "caps of root: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP "
		     "NET_BIND_SERVICE SYS_CHROOT SETFCAP\ncaps of others:\n");
	HAS(dir.out, "no_new_privs: yes\nseccomp: default\n");
	HAS(dir.out, "pids.max: 1024 (default)\n");
	HAS(dir.out, "network: private\ninterface: eth0 on default (br-default) host b");
	HAS(dir.out, "shm size: 67108864\ntype: exec\nrestart: no\n");
	HAS(dir.out, "stop timeout: 10000000000\nstop signal: SIGTERM\nnotify: no\n");
	web = find(&dir, "web");
	assert_false(web->wanted);
	assert_true(web->spec->process.rlimits[RLIMIT_NOFILE].soft == 1024);
	assert_true(web->spec->limits.devices_filter);
	assert_string_equal(find(&dir, "default.network")->bridge->ifname, "br-default");
	assert_int_equal(dir.set.nbridges, 1);
	assert_int_equal(strlen(dir.set.instance), 16);
	unit_dir_close(&dir);
}

/* OCI: ENTRYPOINT and CMD, and what replaces which. */
static void test_argv(void **state)
{
	static const char image[] =
		"{\"config\":{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"c\",\"d\"],\"Env\":[\"A=1\"],"
		"\"User\":\"7:8\",\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGQUIT\"}}";
	static const struct {
		const char *lines, *argv;
	} rows[] = {
		{ "", "argv: /e\nargv: c\nargv: d\nenv:" },
		{ "Exec=x y\n", "argv: /e\nargv: x\nargv: y\nenv:" },
		{ "Entrypoint=/f\n", "argv: /f\nenv:" },
		{ "Entrypoint=[\"/f\",\"g\"]\nExec=x\n", "argv: /f\nargv: g\nargv: x\nenv:" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct unit_dir dir;
		char text[200];

		(void)snprintf(text, sizeof text, "[Container]\nRootfs=./root\n%s", rows[i].lines);
		LOAD(&dir, { "web.container", text }, { "root.image.json", image });
		HAS(unit_dir_spec(&dir, "web"), rows[i].argv);
		HAS(dir.out, "env: A=1\ncwd: /w\nuser: 7\ngroup: 8\n");
		HAS(dir.out, "stop signal: SIGQUIT\n");
		unit_dir_close(&dir);
	}
}

static void test_environment(void **state)
{
	struct unit_dir dir;

	(void)state;
	LOAD(&dir,
		{ "web.container",
			WEB "EnvironmentFile=./env\nEnvironmentFile=-./none\nEnvironment=B=own "
			    "\"C=a b\"\n" },
		{ "env", "# comment\n\nA=1 #2\nB=file\n" });
	HAS(unit_dir_spec(&dir, "web"), "env: A=1 #2\nenv: B=own\nenv: C=a b\ncwd: /\n");
	unit_dir_close(&dir);
}

/* A tar and a directory of ImagePath=, by every name a reference may have. */
static void test_image_path(void **state)
{
	struct unit_dir dir;

	(void)state;
	LOAD(&dir, { "images/web.tar", "x" }, { "images/docker.io/library/redis:7/x", "x" },
		{ "images/web.image.json", "{\"Cmd\":[\"c\"]}" },
		{ "web.container", "[Container]\nImage=web\n" },
		{ "db.container", "[Container]\nImage=docker.io/library/redis:7\nExec=redis\n" });
	HAS(unit_dir_spec(&dir, "web"),
		"root: tar @/images/web.tar\nimage: localhost/web:latest\nargv: c\n");
	HAS(unit_dir_spec(&dir, "db"), "root: directory @/images/docker.io/library/redis:7\n");
	unit_dir_close(&dir);
}

static void argv_is(const struct unit *unit, const char *expected)
{
	const struct strv *argv = &unit->spec->process.argv;
	char text[1000] = "";
	struct strbuf buf = STRBUF(text);

	for (size_t i = 0; i < argv->n; i++)
		strbuf_add(&buf, "%s%s", i ? " " : "", argv->v[i]);
	if (!strstr(text, expected))
		fail_msg("no \"%s\" in: %s", expected, text);
}

/* One by its place, and one of ImagePath=: each has a unit that imports it, and waits for that. */
static void test_image_archive(void **state)
{
	struct unit_dir dir;
	const struct unit *web, *db;
	char name[128];

	(void)state;
	LOAD(&dir, { "site/oci-layout", "{}" }, { "site/index.json", "{}" },
		{ "images/db:1/oci-layout", "{}" }, { "images/db:1/index.json", "{}" },
		{ "web.container", "[Container]\nImage=oci:./site:v1\n" },
		{ "db.container", "[Container]\nImage=db:1\n" });
	web = find(&dir, "web.container");
	db = find(&dir, "db.container");
	assert_int_equal(web->spec->root.kind, ROOT_NONE);
	assert_true(str_starts(web->spec->root.archive, "localhost/archive/site:"));
	assert_int_equal(web->requires.n, 1);
	assert_ptr_equal(&dir.set.units[web->requires.v[0]], find(&dir, "web.image"));
	argv_is(find(&dir, "web.image"), "berth image import --reload --config ");
	argv_is(find(&dir, "web.image"), " --ref v1 /tmp/");
	argv_is(find(&dir, "db.image"), "/images/db:1");
	assert_string_equal(db->spec->root.image, "localhost/db:1");
	(void)snprintf(name, sizeof name, "%s", web->spec->root.archive);

	/* The content decides, and which one of it. */
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_string_equal(find(&dir, "web.container")->spec->root.archive, name);
	unit_dir_write(&dir, "web.container", "[Container]\nImage=oci:./site:v2\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_string_not_equal(find(&dir, "web.container")->spec->root.archive, name);
	unit_dir_write(&dir, "web.container", "[Container]\nImage=oci:./site:v1\n");
	unit_dir_write(&dir, "site/index.json", "{ }");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_string_not_equal(find(&dir, "web.container")->spec->root.archive, name);
	unit_dir_close(&dir);
}

/* Pull= is a .image without a file. */
static void test_image_pull_key(void **state)
{
	struct unit_dir dir;
	const struct unit *web;

	(void)state;
	LOAD(&dir, { "web.container", "[Container]\nImage=web\nPull=newer\nRetry=7\nExec=x\n" },
		{ "db.container", "[Container]\nRootfs=./root\nPull=never\nExec=x\n" });
	web = find(&dir, "web.container");
	assert_string_equal(web->spec->root.image, "docker.io/library/web:latest");
	assert_int_equal(web->requires.n, 1);
	argv_is(find(&dir, "web.image"), "berth image pull --reload --config ");
	argv_is(find(&dir, "web.image"), " --policy newer --retry 7 docker.io/library/web:latest");
	assert_int_equal(find(&dir, "db.container")->requires.n, 0);
	unit_dir_close(&dir);
}

#define STORE_CHAIN "0123456789abcdef0123456789abcdef"
#define STORE_ID    STORE_CHAIN STORE_CHAIN
#define OTHER_CHAIN "fedcba9876543210fedcba9876543210"
#define OTHER_ID    OTHER_CHAIN OTHER_CHAIN

/* An image of layers and one that is a file system, in the store, before one of ImagePath=. */
static void test_image_store(void **state)
{
	struct unit_dir dir;
	const struct container_spec *spec;

	(void)state;
	LOAD(&dir, { "images/web.tar", "x" },
		{ "state/store/names/localhost+web:latest", "sha256:" STORE_ID "\n" },
		{ "state/store/names/localhost+fs:1",
			"sha256:" OTHER_ID "\nsha256:" STORE_ID "\n" },
		{ "state/store/images/" STORE_ID "/layers",
			STORE_CHAIN " sha256:" STORE_ID " 10 2 sha256:" STORE_ID "\n" OTHER_CHAIN
				    " sha256:" OTHER_ID " 10 2 sha256:" OTHER_ID "\n" },
		{ "state/store/images/" STORE_ID "/config.json",
			"{\"config\":{\"Entrypoint\":null,\"Cmd\":[\"c\"],\"Labels\":{\"a\":\"b "
			"c\"},"
			"\"ExposedPorts\":{\"80\":{},\"53/udp\":{}},\"Volumes\":{\"/data\":{}},"
			"\"StopSignal\":\"SIGRTMIN+3\",\"User\":\"7:8\",\"WorkingDir\":\"/"
			"srv\"}}" },
		{ "state/store/images/" OTHER_ID "/root.img", "x" },
		{ "web.container", "[Container]\nImage=web\n" },
		{ "fs.container",
			"[Container]\nImage=fs:1\nExec=x\n[X-Berth]\nPersist=permanent\n" },
		{ "digest.container", "[Container]\nImage=a.b/c:1@sha256:" STORE_ID "\n" });
	HAS(unit_dir_spec(&dir, "web"),
		"root: layers @/state/store/layers\nimage: localhost/web:latest\nimage "
		"content: " STORE_ID "\nlayer: " STORE_CHAIN "\nlayer: " OTHER_CHAIN "\nargv: c\n");
	HAS(unit_dir_spec(&dir, "web"),
		"image label: a=b c\nimage port: 80/tcp\nimage port: 53/udp\n");
	HAS(unit_dir_spec(&dir, "web"), "cwd: /srv\n");
	HAS(unit_dir_spec(&dir, "digest"), "image content: " STORE_ID "\n");
	HAS(unit_dir_spec(&dir, "fs"), "root: file system image @/state/store/images/" OTHER_ID
				       "/root.img\nimage: localhost/fs:1\nimage content: " OTHER_ID
				       "\nkept: permanent @/state/upper/fs\n");
	spec = unit_find(&dir.set, "fs")->spec;
	assert_int_equal(spec->root.verify, VERIFY_NEVER);
	assert_string_equal(spec->root.tag, "fedcba9876543210");
	unit_dir_close(&dir);
}

static void test_mounts(void **state)
{
	struct unit_dir dir;

	(void)state;
	LOAD(&dir, { "data.volume", "[Volume]\nVolumeName=store\nUser=7\nGroup=8\n" },
		{ "secrets/key", "s3cret" },
		{ "web.container",
			WEB "Volume=data.volume:/srv/data/deep:U\nVolume=plain:/p\n"
			    "Volume=./conf:/etc/conf:ro,Z\nTmpfs=/run:size=64m,mode=0755\n"
			    "Secret=key,uid=7,mode=0440\nSecret=key,target=other\n" });
	HAS(unit_dir_spec(&dir, "web"),
		"mount: volume @/state/volumes/plain -> /p nosuid nodev copy\n"
		"mount: tmpfs  -> /run nosuid nodev copy size=67108864 mode=755\n"
		"mount: bind @/conf -> /etc/conf ro nosuid nodev rbind\n"
		"mount: volume @/state/volumes/store -> /srv/data/deep nosuid nodev U copy "
		"owner=7:8\n"
		"mount: file @/secrets/key -> /run/secrets/key ro noexec nosuid nodev mode=440 "
		"owner=7:0\n"
		"mount: file @/secrets/key -> /run/secrets/other ro noexec nosuid nodev "
		"mode=444\n");
	unit_dir_close(&dir);
}

/* VOLUME of the image and a target alone: a volume that only this container has, unless the unit says
 * what is to be there. */
static void test_volumes_of_nobody(void **state)
{
	struct unit_dir dir;

	(void)state;
	unit_dir_open(&dir);
	unit_dir_write(&dir, "root.image.json",
		"{\"config\":{\"Volumes\":{\"/data/\":{},\"/own\":{},\"/../x\":{},"
		"\"/proc/sys\":{},\"/tmp\":{}}}}");
	unit_dir_write(&dir, "web.container", WEB "Volume=/own\nVolume=named:/tmp\nReadOnly=yes\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_int_equal(dir.set.nerrors, 0);
	HAS(unit_dir_spec(&dir, "web"),
		"mount: volume @/state/volumes/web-anon-02066712 -> /own nosuid nodev copy "
		"anonymous\n"
		"mount: tmpfs  -> /run nosuid nodev copy mode=755\n"
		"mount: volume @/state/volumes/named -> /tmp nosuid nodev copy\n"
		"mount: volume @/state/volumes/web-anon-c67bcfca -> /data nosuid nodev copy "
		"anonymous\n"
		"mount: tmpfs  -> /var/tmp nosuid nodev copy mode=1777\n");
	HAS(unit_dir_problems(&dir), "Volumes: \"/../x\" of the image is left out");
	HAS(unit_dir_problems(&dir), "Volumes: \"/proc/sys\" of the image is left out");
	unit_dir_close(&dir);
}

/* Who uses a path below a mount waits for it: the nearest one and those above it. */
static void test_filesystems(void **state)
{
	struct unit_dir dir;
	const struct unit *web;

	(void)state;
	LOAD(&dir, { "mnt.mount", "[Mount]\nWhat=LABEL=x\nWhere=/mnt/\n" },
		{ "mnt-my\\x2ddata.mount",
			"[Mount]\nWhat=host:/export\nWhere=/mnt/my-data\nType=nfs\n"
			"Options=ro,,nofail,vers=4\nTimeoutSec=5\nLazyUnmount=yes\n"
			"DirectoryMode=0700\n" },
		{ "mnt2.mount", "[Mount]\nWhat=tmpfs\nWhere=/mnt2\nType=tmpfs\n" },
		{ "mem.volume", "[Volume]\nDevice=tmpfs\nType=tmpfs\nOptions=size=1m\nUID=7\n" },
		{ "old.volume", "[Volume]\nDevice=/mnt/x\nType=bind\nCopy=no\n" },
		{ "web.container", WEB "Volume=/mnt/my-data/sub:/x\nVolume=mem.volume:/m\n"
				       "Volume=old.volume:/o\n[Unit]\nWantsMountsFor=/mnt2/y\n" });
	web = unit_find(&dir.set, "web");
	assert_int_equal(web->requires.n, 4);
	assert_int_equal(web->wants.n, 1);
	assert_int_equal(web->after.n, 5);
	HAS(unit_dir_spec(&dir, "mnt-my\\x2ddata.mount"),
		"name: mnt-my_x2ddata.mount\nmounts: host:/export\non: /mnt/my-data\ntype: nfs\n"
		"option: ro\noption: nofail\noption: vers=4\ndirectory mode: 700\n");
	HAS(unit_dir_spec(&dir, "mem.volume"),
		"mounts: tmpfs\non: @/state/volumes/mem\ntype: tmpfs\noption: size=1m\n");
	HAS(unit_dir_spec(&dir, "mem.volume"), "owner: 7:7\n");
	HAS(unit_dir_spec(&dir, "old.volume"), "option: bind\n");
	HAS(unit_dir_spec(&dir, "web"), "volumes/old -> /o nosuid nodev\n");
	/* The mount above comes first, and a bind waits for what it shows. */
	assert_int_equal(unit_find(&dir.set, "mnt-my\\x2ddata.mount")->after.n, 1);
	assert_int_equal(unit_find(&dir.set, "old.volume")->requires.n, 1);
	assert_int_equal(unit_find(&dir.set, "mnt-my\\x2ddata.mount")->service.start_timeout,
		5 * NSEC_PER_SEC);
	unit_dir_close(&dir);
}

static void test_security_and_limits(void **state)
{
	struct unit_dir dir;

	(void)state;
	LOAD(&dir,
		{ "a.container",
			WEB "DropCapability=all\nAddCapability=NET_RAW\nNoNewPrivileges=no\n"
			    "Sysctl=net/core/somaxconn=9\nUnmask=ALL\nMask=/proc/x:/srv/y\n"
			    "AddDevice=/dev/null:/dev/nix:r\nAddDevice=-/dev/none\nPidsLimit=64\n"
			    "Ulimit=nofile=10:20\nSeccompProfile=unconfined\n"
			    "[Service]\nTasksMax=64\nMemoryMax=64M\nCPUQuota=50%\nCPUWeight=7\n" },
		{ "b.container", WEB "AddCapability=NET_ADMIN\nDropCapability=KILL\n" });
	HAS(unit_dir_spec(&dir, "a"),
		"caps of root: NET_RAW\ncaps of others: NET_RAW\nseccomp: off\n");
	HAS(dir.out, "memory.max: 67108864\npids.max: 64\ncpu.max: 50000\ncpu.weight: 7\n");
	HAS(dir.out, "device rule: c 1:3 r\n");
	HAS(dir.out, "device: /dev/null -> /dev/nix r\ndevice: /dev/none -> /dev/none rwm "
		     "optional\n");
	HAS(dir.out, "sysctl: net.core.somaxconn=9\nmask: /proc/x\nmask: /srv/y\nunmask: ALL\n");
	HAS(unit_dir_spec(&dir, "b"),
		"caps of root: CHOWN DAC_OVERRIDE FOWNER FSETID SETGID SETUID SETPCAP "
		"NET_BIND_SERVICE NET_ADMIN SYS_CHROOT SETFCAP\ncaps of others: NET_ADMIN\n");
	unit_dir_close(&dir);
}

static void test_graph(void **state)
{
	struct unit_dir dir;
	const struct unit *web;

	(void)state;
	LOAD(&dir,
		{ "web.container",
			"[Unit]\nAfter=db.service network-online.target\nWants=db.service\n" WEB
			"[Install]\nWantedBy=site.target\n" },
		{ "db.container", WEB }, { "spare.container", WEB },
		{ "early.service", "[Unit]\nBefore=web.container\n[Service]\nType=oneshot\n"
				   "ExecStart=/bin/true\n" },
		{ "site.target", "[Install]\nWantedBy=default.target\n" });
	web = find(&dir, "web");
	assert_int_equal(web->after.n, 2);
	assert_int_equal(web->wants.n, 1);
	assert_string_equal(dir.set.units[web->wants.v[0]].id, "db.container");
	assert_true(web->wanted);
	assert_true(find(&dir, "db")->wanted);
	assert_true(find(&dir, "site.target")->wanted);
	assert_false(find(&dir, "spare")->wanted);
	HAS(unit_dir_spec(&dir, "early"), "root: host \nargv: /bin/true\n");
	HAS(dir.out, "network: host\ntype: oneshot\n");
	HAS(dir.out, "start timeout: infinity\n");
	assert_ptr_equal(unit_find(&dir.set, "db.service"), find(&dir, "db.container"));
	assert_null(unit_find(&dir.set, "nobody"));
	unit_dir_close(&dir);
}

static void test_probe(void **state)
{
	struct unit_dir dir;

	(void)state;
	LOAD(&dir, { "a.service", "[Service]\nExecStart=/bin/true\n[X-Berth]\n"
				  "Probe=unix:%t/%N.sock\nProbeInterval=1s\n" });
	HAS(unit_dir_spec(&dir, "a"), "notify: healthy\nprobe: unix:/run/a.sock\n"
				      "health interval: 1000000000\nhealth timeout: 5000000000\n"
				      "health start period: 90000000000\nhealth retries: 3\n");
	unit_dir_close(&dir);
}

/* What stands in the unit goes into its program's configuration. */
static void test_config_file(void **state)
{
	struct unit_dir dir;

	(void)state;
	LOAD(&dir,
		{ "a@.service", "[Service]\nExecStart=/bin/true -c ${CONFIG_FILE} $CONFIG_FILE\n"
				"Environment=DATA=/data/%i\n[X-Berth]\nConfigFile=a.toml\n" },
		{ "b.service", "[Unit]\nWants=a@x.service\n[Service]\nExecStart=/bin/true\n" },
		{ "a.toml", "root = \"${DATA}\" # %N, 100 %%\n\nhost = $host $$ 5\nlast" });
	HAS(unit_dir_spec(&dir, "a@x"), "argv: /bin/true\nargv: -c\nargv: @/run/conf/a@x\n"
					"argv: @/run/conf/a@x\n");
	HAS(dir.out, "env: CONFIG_FILE=@/run/conf/a@x\nenv: DATA=/data/x\n");
	assert_string_equal(find(&dir, "a@x")->spec->config_text,
		"root = \"/data/x\" # a@x, 100 %\n\nhost = $host $ 5\nlast");
	unit_dir_close(&dir);
}

/* Out of an appliance file, whose payload told where its programs lie; the same programs in another
 * place of the file are the same content. */
static void test_bundle(void **state)
{
	struct unit_dir dir;
	char tag[80];

	(void)state;
	LOAD(&dir, { "kit.service", "[X-Berth]\nBundle=kit\n" },
		{ "tool.service", "[Service]\nExecStart=tool -v\n[X-Berth]\nBundle=kit\n" },
		{ ".bundles/kit/kit", "4096 100 0123456789abcdef\n" },
		{ ".bundles/kit/tool", "8192 200 89abcdef01234567\n" });
	HAS(unit_dir_spec(&dir, "kit"), "argv: kit\n");
	(void)snprintf(tag, sizeof tag, "bundle: kit\nbundle content: %.16s\n",
		find(&dir, "kit")->spec->program.tag);
	HAS(unit_dir_spec(&dir, "tool"), "argv: tool\nargv: -v\n");
	HAS(dir.out, tag);
	assert_string_equal(find(&dir, "tool")->spec->program.file, "tool");
	unit_dir_write(&dir, ".bundles/kit/tool", "12288 200 89abcdef01234567\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	HAS(unit_dir_spec(&dir, "tool"), tag);
	unit_dir_write(&dir, ".bundles/kit/tool", "12288 200 79abcdef01234567\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_null(strstr(unit_dir_spec(&dir, "tool"), tag));
	unit_dir_close(&dir);
}

/* A comment, another order or a new sibling changes no hash; a value does. */
static void test_hash(void **state)
{
	struct unit_dir dir;
	uint64_t first;

	(void)state;
	LOAD(&dir, { "lan.network", "[Network]\nSubnet=10.9.0.0/24\n" },
		{ "web.container", WEB "Network=lan.network\nIP=10.9.0.9\n" });
	first = find(&dir, "web")->hash;
	unit_dir_write(&dir, "web.container",
		"# other\n[Container]\nIP=10.9.0.9\nNetwork=lan.network\nExec=httpd  -f\n"
		"Rootfs=./root\n[Service]\nRestart=always\n");
	unit_dir_write(&dir, "db.container", WEB "Network=lan.network\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_true(find(&dir, "web")->hash == first);
	unit_dir_write(&dir, "web.container", WEB "Network=lan.network\nIP=10.9.0.10\n");
	assert_int_equal(unit_dir_load(&dir), 0);
	assert_true(find(&dir, "web")->hash != first);
	unit_dir_close(&dir);
}

static void test_cat(void **state)
{
	struct unit_dir dir;
	char *text = NULL;
	size_t n = 0;
	FILE *out;

	(void)state;
	LOAD(&dir, { "web.container", WEB "Environment=A=1\n" },
		{ "web.container.d/10-x.conf", "[Container]\nExec=nginx\nEnvironment=B=2\n" });
	out = open_memstream(&text, &n);
	assert_non_null(out);
	assert_int_equal(cat_print(&dir.set, "web", out), 0);
	assert_int_equal(cat_print(&dir.set, "nobody", out), -ENOENT);
	assert_int_equal(check_print(&dir.set, out), 0);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(unit_dir_text(&dir, text),
		"# web.container: @/web.container\n# and @/web.container.d/10-x.conf\n\n"
		"[Container]\nRootfs=./root  # @/web.container:2\n"
		"Environment=A=1  # @/web.container:4\n"
		"Exec=nginx  # @/web.container.d/10-x.conf:2\n"
		"Environment=B=2  # @/web.container.d/10-x.conf:3\n"
		"1 unit, 0 errors, 0 warnings\n");
	free(text);
	unit_dir_close(&dir);
}

/* A configuration that is no directory is said with its path; the caller's set stays as it was. */
static void test_no_directory(void **state)
{
	struct unit_set set = { 0 };
	struct unit_dir dir;
	struct err err = { 0 };
	char path[256];

	(void)state;
	unit_dir_open(&dir);
	unit_dir_write(&dir, "file", "x");
	unit_dir_write(&dir, "fifo", "|");
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "file", "fifo", "none" };

		(void)snprintf(path, sizeof path, "%s/%s", dir.path, names[i]);
		assert_true(unit_set_load(&set, path, &err) < 0);
		assert_non_null(strstr(err.text, path));
		assert_int_equal(set.nunits, 0);
	}
	unit_dir_close(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_argv),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_image_path),
		cmocka_unit_test(test_image_archive),
		cmocka_unit_test(test_image_pull_key),
		cmocka_unit_test(test_image_store),
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_volumes_of_nobody),
		cmocka_unit_test(test_filesystems),
		cmocka_unit_test(test_security_and_limits),
		cmocka_unit_test(test_graph),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_config_file),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_cat),
		cmocka_unit_test(test_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
