"""Find, connect, start, describe and end Ray.

Importing this package does not import Ray. A Ray started here needs a token for
every connection, lives in a folder of its own that only the user can enter, and
is gone - processes and folder - when the session ends.
"""

from rayspy.cluster.connect import connect_existing as connect_existing
from rayspy.cluster.connect import disconnect_from as disconnect_from
from rayspy.cluster.connect import refresh_token as refresh_token
from rayspy.cluster.end import kill_local_ray as kill_local_ray
from rayspy.cluster.end import ray_lives as ray_lives
from rayspy.cluster.end import ray_processes as ray_processes
from rayspy.cluster.end import remove_unfinished as remove_unfinished
from rayspy.cluster.end import shutdown_local_ray as shutdown_local_ray
from rayspy.cluster.environment import ONE_THREAD as ONE_THREAD
from rayspy.cluster.environment import PATIENCE as PATIENCE
from rayspy.cluster.environment import STARTED_BY_US as STARTED_BY_US
from rayspy.cluster.environment import node_environment as node_environment
from rayspy.cluster.environment import set_environ as set_environ
from rayspy.cluster.environment import worker_environment as worker_environment
from rayspy.cluster.find import import_ray as import_ray
from rayspy.cluster.find import one_thread_per_worker as one_thread_per_worker
from rayspy.cluster.find import ray_is_connected as ray_is_connected
from rayspy.cluster.find import ray_is_ours as ray_is_ours
from rayspy.cluster.find import require_ray as require_ray
from rayspy.cluster.find import running_in_ray as running_in_ray
from rayspy.cluster.find import unreachable as unreachable
from rayspy.cluster.folders import claim_folder as claim_folder
from rayspy.cluster.folders import remove_folder as remove_folder
from rayspy.cluster.start import ATTEMPTS as ATTEMPTS
from rayspy.cluster.start import MIN_STORE as MIN_STORE
from rayspy.cluster.start import NODE as NODE
from rayspy.cluster.start import retry_ray as retry_ray
from rayspy.cluster.start import start_local_ray as start_local_ray
from rayspy.cluster.start import store_size as store_size
from rayspy.cluster.tell import ClusterInfo as ClusterInfo
from rayspy.cluster.tell import NodeInfo as NodeInfo
from rayspy.cluster.tell import describe as describe
from rayspy.cluster.watch import check_ray as check_ray
from rayspy.cluster.watch import forget_ended as forget_ended
from rayspy.cluster.watch import watched as watched
from rayspy.cluster.watch import why_ended as why_ended
