/** What a policy costs the host, predicted from measured runs; it knows nothing of ports and rings. */
package org.mypervisor.offload.cost;
