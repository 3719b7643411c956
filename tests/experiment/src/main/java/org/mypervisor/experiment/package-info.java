/** Makes report, plots and cost model from the runs of an experiment. */
package org.mypervisor.experiment;
